"""The task of the paper's user study: of a pool of models, which ones give NaN in half precision?"""
